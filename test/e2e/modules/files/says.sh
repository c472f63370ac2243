#!/bin/sh
echo "$1, $2, $GREETING"
echo said >&2
