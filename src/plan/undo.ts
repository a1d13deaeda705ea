/** How an operation is taken back, in the order in which to do it. */
import type { OperationBody } from "./operation.js";

/**
 * A plan that failed at its operation n is undone by `undo` of the ones before it, the last first: the node, the link
 * or the rule is then as it was. What was never read (an optional sysctl of a new node) needs no undoing, since its node goes.
 */
export function undo(operation: OperationBody): readonly OperationBody[] {
  switch (operation.kind) {
    case "node.create":
      return [{ kind: "node.remove", node: operation.node, container: operation.container, undo: [] }];
    case "node.remove":
      return operation.undo;
    case "sysctl.write": {
      const entries = operation.entries.flatMap(({ name, value, previous, optional }) =>
        previous === undefined ? [] : [{ name, value: previous, previous: value, ...(optional ? { optional } : {}) }],
      );
      return entries.length === 0 ? [] : [{ kind: "sysctl.write", node: operation.node, entries }];
    }
    case "bridge.create":
      return [{ kind: "link.delete", node: operation.node, interface: operation.bridge.name }];
    case "bridge.change":
      return [{ ...operation, bridge: operation.previous, previous: operation.bridge }];
    case "veth.create": {
      const [end] = operation.ends;
      return [{ kind: "link.delete", node: end.node, interface: end.interface }];
    }
    case "device.create":
      return [{ kind: "link.delete", node: operation.node, interface: operation.device.name }];
    case "link.change":
      return [{ ...operation, change: operation.previous, previous: operation.change }];
    case "link.delete":
      return operation.undo ?? [];
    case "address.add":
      return [{ ...operation, kind: "address.remove" }];
    case "address.remove":
      return [{ ...operation, kind: "address.add" }];
    case "route.add":
      return [{ ...operation, kind: "route.remove" }];
    case "route.remove":
      return [{ ...operation, kind: "route.add" }];
    case "rule.add":
      return [{ ...operation, kind: "rule.remove" }];
    case "rule.remove":
      return [{ ...operation, kind: "rule.add" }];
    case "neighbour.add":
      return [{ ...operation, kind: "neighbour.remove" }];
    case "neighbour.remove":
      return [{ ...operation, kind: "neighbour.add" }];
    case "nftables.replace":
      return [{ ...operation, tables: operation.previous, previous: operation.tables }];
    case "shaping.set": {
      const { kind, node, interface: name, shaping, previous } = operation;
      return [
        {
          kind,
          node,
          interface: name,
          ...(previous ? { shaping: previous } : {}),
          ...(shaping ? { previous: shaping } : {}),
        },
      ];
    }
    case "hosts.write":
      return operation.previous ? [{ ...operation, hosts: operation.previous, previous: operation.hosts }] : [];
    case "container.start":
      return [{ ...operation, kind: "container.stop" }];
    case "container.stop":
      return [{ ...operation, kind: "container.start" }];
  }
}
