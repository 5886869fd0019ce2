"""The sidecar beside a bare app on the same server, and beside Envoy and HAProxy that check tokens by themselves."""
