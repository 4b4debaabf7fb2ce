#!/bin/sh
echo "Hello from {{NAME}}: built $(cat cache/builds) times, greeting: ${GREETING:-none}"
