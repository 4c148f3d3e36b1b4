"""The default profile: which plugins run, in which order, with which weight.

Upstream: pkg/scheduler/apis/config/v1/default_plugins.go. Plugins still to come have their place
here: VolumeRestrictions, NodeVolumeLimits after NodeResourcesFit; DynamicResources (2) at the end.
"""

from typing import Final

from tiphys.scheduler.framework import FilterPlugin, Profile, ScorePlugin
from tiphys.scheduler.plugins import (
    image_locality,
    inter_pod_affinity,
    node_affinity,
    node_name,
    node_ports,
    node_resources_balanced_allocation,
    node_resources_fit,
    node_unschedulable,
    pod_topology_spread,
    scheduling_gates,
    taint_toleration,
    volume_binding,
    volume_zone,
)

DEFAULT: Final = Profile(
    pre_enqueue=((scheduling_gates.NAME, scheduling_gates.pre_enqueue),),
    pre_filters=(
        (node_affinity.NAME, node_affinity.pre_filter),
        (volume_binding.NAME, volume_binding.pre_filter),
    ),
    filters=tuple(
        FilterPlugin(plugin.NAME, plugin.filter_node, plugin.RETRY_ON)
        for plugin in (
            node_unschedulable,
            node_name,
            taint_toleration,
            node_affinity,
            node_ports,
            node_resources_fit,
            volume_binding,
            volume_zone,
        )
    )
    + tuple(
        FilterPlugin(plugin.NAME, None, plugin.RETRY_ON, plugin.prepare)
        for plugin in (pod_topology_spread, inter_pod_affinity)
    ),
    scores=(
        ScorePlugin(
            taint_toleration.NAME, 3, taint_toleration.score_node, taint_toleration.normalize
        ),
        ScorePlugin(node_affinity.NAME, 2, node_affinity.score_node, node_affinity.normalize),
        ScorePlugin(pod_topology_spread.NAME, 2, None, score_nodes=pod_topology_spread.score_nodes),
        ScorePlugin(inter_pod_affinity.NAME, 2, None, score_nodes=inter_pod_affinity.score_nodes),
        ScorePlugin(node_resources_fit.NAME, 1, node_resources_fit.score_node),
        ScorePlugin(
            node_resources_balanced_allocation.NAME,
            1,
            node_resources_balanced_allocation.score_node,
        ),
        ScorePlugin(image_locality.NAME, 1, image_locality.score_node),
    ),
)
