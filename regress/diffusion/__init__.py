"""Diffusion of responses: their code, the noise, denoisers, and how sure the draws are."""
