"""The explorer: a page on this machine that shows the predicted response to a picture."""
