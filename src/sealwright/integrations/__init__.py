"""Other people's frameworks, one file each; a Verifier or Signer is passed in."""
