"""vLLM's life: which server runs when and on which GPUs, how one is started, watched, mended and ended."""
