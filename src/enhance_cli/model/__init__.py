"""The networks, what they are trained with, and where they run."""
