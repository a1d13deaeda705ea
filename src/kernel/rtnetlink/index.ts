/** rtnetlink(7): links, addresses, routes, neighbours, rules, qdiscs, namespace ids, and their events. Each function makes a request for a `NetlinkClient`. */
export * as links from "./links.js";
export * as addresses from "./addresses.js";
export * as routes from "./routes.js";
export * as neighbours from "./neighbours.js";
export * as rules from "./rules.js";
export * as qdiscs from "./qdiscs.js";
export * as nsids from "./nsids.js";
export { listenRoute, type RouteEvent, type RouteListenOptions } from "./listen.js";
export { groups } from "./constants.js";
export type { BridgeSettings, LinkEnd, LinkSpecification, VxlanSettings } from "./link-kinds.js";
export type { BridgePort, Link, LinkStatistics } from "./link.js";
export type { LinkChange, LinkReference, PortChange } from "./links.js";
export type { Address, NewAddress } from "./addresses.js";
export type { Lookup, NewRoute, Nexthop, Route, RouteMetrics, RouteType } from "./routes.js";
export type { FdbEntry, Neighbour, NeighbourState, NewFdbEntry, NewNeighbour } from "./neighbours.js";
export type { PolicyRule, RuleAction } from "./rules.js";
export type { Htb, HtbClass, Netem, QdiscSpecification, Tbf } from "./qdisc-kinds.js";
export type { Place, Qdisc } from "./qdiscs.js";
