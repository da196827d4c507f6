"""Questions about the whole: validation against publications, measurements on GPUs, benchmarks, the demo."""
