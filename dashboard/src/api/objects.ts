// The parts of Kubernetes' objects that the pages read.

export interface Owner {
  apiVersion: string;
  kind: string;
  name: string;
  uid: string;
  controller?: boolean;
}

export interface Meta {
  name: string;
  namespace?: string;
  uid: string;
  resourceVersion: string;
  creationTimestamp: string;
  deletionTimestamp?: string;
  labels?: Record<string, string>;
  annotations?: Record<string, string>;
  ownerReferences?: Owner[];
  generation?: number;
}

// What stands below spec and status differs from kind to kind.
// eslint-disable-next-line
export type Any = any;

export interface KubeObject {
  apiVersion: string;
  kind: string;
  metadata: Meta;
  spec?: Any;
  status?: Any;
  [field: string]: Any;
}

export interface Condition {
  type: string;
  status: string;
  reason?: string;
  message?: string;
  lastTransitionTime?: string;
}

export interface Column {
  name: string;
  type: string;
  description: string;
  priority: number;
}
