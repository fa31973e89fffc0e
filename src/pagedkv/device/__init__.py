"""What gives the engine time and moves its bytes."""
