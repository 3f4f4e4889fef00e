"""A stand-in for the Azure CLI: keeps its cloud in a file, answers as `az` does, and refuses what `az` would refuse.

FAKE_AZ names its folder: `cloud.json` is the state, `calls.jsonl` gets a line for each call. `cloud.json` may hold
"refuse": {"the words of a command": "what az says"}, to make a step fail.
"""
