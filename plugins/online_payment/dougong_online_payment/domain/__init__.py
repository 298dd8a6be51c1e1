"""What the gateways' contracts say about bytes: signatures, envelopes, bills. Pure."""
