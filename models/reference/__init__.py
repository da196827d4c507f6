"""The float reference of a Llama-family model; its parts are rope and llama."""

__all__: list[str] = []
