"""From what a publisher ships to what runs fastest here, each step with its proof."""
