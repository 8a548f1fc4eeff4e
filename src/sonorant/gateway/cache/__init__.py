"""What has been spoken is kept: the same request later costs nothing, and one at the same time joins in."""

from sonorant.gateway.cache.cache import Caching, SpeechCache
from sonorant.gateway.cache.key import key_of
from sonorant.gateway.cache.stores import opened

__all__ = ["Caching", "SpeechCache", "key_of", "opened"]
