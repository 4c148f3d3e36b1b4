// Texts to begin with.

export interface DeploymentWish {
  name: string;
  image: string;
  replicas: number;
  /** 0: no Service. */
  port: number;
}

/** A Deployment, and a Service when it has a port. Names and images hold nothing that YAML quotes. */
export function deploymentYaml({ name, image, replicas, port }: DeploymentWish): string {
  const ports = port ? `
        ports:
        - containerPort: ${port}` : "";
  const deployment = `apiVersion: apps/v1
kind: Deployment
metadata:
  name: ${name}
  labels:
    app: ${name}
spec:
  replicas: ${replicas}
  selector:
    matchLabels:
      app: ${name}
  template:
    metadata:
      labels:
        app: ${name}
    spec:
      containers:
      - name: ${name}
        image: ${JSON.stringify(image)}${ports}
`;
  const service = `---
apiVersion: v1
kind: Service
metadata:
  name: ${name}
spec:
  selector:
    app: ${name}
  ports:
  - port: ${port}
`;
  return port ? deployment + service : deployment;
}
