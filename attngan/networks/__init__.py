"""What is computed: the networks, from a condition to pictures and from pictures to features."""
