"""The float reference of a Llama-family model; its parts are rope, llama and decode."""

__all__: list[str] = []
