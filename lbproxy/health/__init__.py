"""What is judged of a backend: up or down, ejected, or starting slowly. No I/O."""
