"""The starter corpus: freely licensed, made on one machine, with exact note, beat and chord labels."""
