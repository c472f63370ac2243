#!/bin/sh
[ "$1" = --list ] || exit 9
cat <<'J'
{"web": {"hosts": ["w1", "w2"], "vars": {"port": 80}}, "db": ["d1"], "prod": {"children": ["web", "db"]},
 "_meta": {"hostvars": {"w1": {"text": "{{ not evaluated }}", "rate": 1.0}}}}
J
