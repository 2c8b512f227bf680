"""The starter corpus: free licences, made on one machine, exact note, beat and chord labels."""
