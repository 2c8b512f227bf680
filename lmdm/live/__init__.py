"""The live instrument: control messages, session, engine process and supervisor. Torch-free."""
