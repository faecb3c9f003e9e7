"""Calls to model servers: one OpenAI-compatible chat call, its limits, retries and tokens, and a simulated server."""
