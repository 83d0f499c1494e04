"""Cases in the service: opening them, and the evidence that a person sees beside the verdict."""
