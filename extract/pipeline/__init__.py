"""Computation of all spaces of all pictures, on one device, several devices, or a cluster."""
