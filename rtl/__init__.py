"""The engine in Amaranth and its Verilog."""
