"""What the lab adds to Kubernetes' vocabulary: annotations that no real component knows.

WEIGHT   of a pod: its share of new connections in kube-proxy's ipvs mode, "3"; 0 gets none. The controller hands it on
         to the EndpointSlices of the pod's Services, as `10.244.1.5=3, 10.244.2.7=1`; on a slice made by hand, a
         number alone is for all endpoints. A real kube-proxy gives every real server the weight 1.
"""

WEIGHT = "labkit.dev/ipvs-weight"
