"""What an order means, whatever befalls the backends: eight rules, and what they look at."""
