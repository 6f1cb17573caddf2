"""Parts of networks that models share."""
