"""Bad input by the hundred thousand: events, messages, requests, tags, values, policies."""
