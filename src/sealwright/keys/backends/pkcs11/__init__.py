"""Private keys in a hardware security module (HSM), through the PKCS#11 module of its vendor."""
