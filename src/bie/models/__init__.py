"""The generative model of counts: scVI, its layers and its likelihoods."""
