"""A chat for Renkei: a connector, an action and a stage, as somebody else would write them."""
