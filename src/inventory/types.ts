import type { Dict, Origin } from '../value/value.js';

export interface Inventory {
  /** In the order they were named. `all` and `ungrouped` always exist. */
  groups: Map<string, Group>;
  hosts: Map<string, Host>;
  /** Where it was read from (file or folder); group_vars/ and host_vars/ beside it count. */
  sources: string[];
}

export interface Group {
  name: string;
  /** Direct members. */
  hosts: string[];
  children: string[];
  /** Variables from inventory files, with the place each was written. */
  vars: Dict;
  origins: Map<string, Origin>;
  /** `ansible_group_priority`; higher wins among groups of one depth. */
  priority: number;
}

export interface Host {
  name: string;
  /** Direct groups, in order. */
  groups: string[];
  vars: Dict;
  origins: Map<string, Origin>;
  /** The inventory file that named it first: `inventory_file`. Absent for `-i host1,` and `add_host`. */
  source?: string;
  /** `localhost` that no inventory names: reached by its name only, no member of `all`. */
  implicit?: boolean;
}
