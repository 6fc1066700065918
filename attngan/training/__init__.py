"""How the networks learn: losses, adversaries, and the jobs that train."""
