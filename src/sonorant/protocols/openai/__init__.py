"""OpenAI's audio API: speech, transcriptions, models, voices and its way to tell errors."""
