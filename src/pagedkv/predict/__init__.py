"""How predictable a page stream is: entropy along the information ladder, compressibility, reuse, and the horizon."""
