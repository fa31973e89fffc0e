"""A Llama-family decoder over paged KV: weights, forward pass, and the operations it is made of."""
