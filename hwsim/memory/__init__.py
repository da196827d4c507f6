"""The memories behind the engine's ports: when addresses are taken and when beats and responses come back."""
