import os
from ansible.module_utils.basic import AnsibleModule

module = AnsibleModule(argument_spec=dict(name=dict(required=True)), supports_check_mode=True)
module.exit_json(changed=False, name=module.params['name'], user=os.getuid())
