"""Safety tools: forgetting an identity (`piu`), finding memorised prompts (`memorization`)."""
