"""What the real vLLM says and does, in this project's terms."""
