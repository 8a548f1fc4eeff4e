"""What clients speak: OpenAI's HTTP API, health, metrics, and the application that joins them."""
