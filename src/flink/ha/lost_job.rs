//! A job at which every new leader ends, because its file is gone: what to say of it, and what to do about it.

use k8s_openapi::api::core::v1::PodSpec;

use super::{HaMap, MapKind, MapName, cluster_config_map, job_config_map};
use crate::flink::log::{Unrecoverable, unrecoverable};
use crate::flink::storage::{self, Storage};
use crate::manifests::secrets;

/// A job that cannot be recovered: what the high-availability ConfigMaps point to is not there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LostJob {
    job: String,
    /// The file, in the words of the log, if it names it.
    missing: Option<String>,
    /// The file, in the words of the ConfigMap, which has its file system too.
    pointer: Option<String>,
    /// The ConfigMap that points to it.
    config_map: String,
    namespace: String,
    cluster_id: String,
    /// The last one that the job's ConfigMap points to.
    checkpoint: Option<u64>,
}

impl LostJob {
    /// Finds it in the log of a JobManager that ended. The ConfigMaps are in `namespace`, and of the cluster-id that the
    /// log names; where it names none, of the one that is given. None where no job, or no file, is said to be missing.
    pub fn of_log(log: &str, namespace: &str, cluster_id: Option<&str>) -> Option<LostJob> {
        let Unrecoverable { job, config_map, missing, .. } = unrecoverable(log).filter(|failure| failure.gone)?;
        // A job's own has no entry that a new leader begins with.
        let named = config_map.and_then(|map| Some((MapName::parse(&map)?, map)));
        let (cluster_id, config_map) = match named {
            Some((MapName { cluster_id, kind: MapKind::Job(_) }, _)) => {
                (cluster_id.clone(), cluster_config_map(&cluster_id))
            }
            Some((MapName { cluster_id, .. }, map)) => (cluster_id, map),
            None => (cluster_id?.to_owned(), cluster_config_map(cluster_id?)),
        };
        let namespace = namespace.to_owned();
        Some(LostJob { job, missing, pointer: None, config_map, namespace, cluster_id, checkpoint: None })
    }

    /// The namespace and the names of the ConfigMaps that tell more of it.
    pub fn config_maps(&self) -> (&str, [String; 2]) {
        (&self.namespace, [self.config_map.clone(), job_config_map(&self.cluster_id, &self.job)])
    }

    /// Takes in what one of them says.
    pub fn learn(&mut self, map: &HaMap) {
        match &map.kind {
            MapKind::Job(job) if *job == self.job => {
                self.checkpoint = map.latest_checkpoint().map(|(number, _)| number);
            }
            MapKind::Job(_) => {}
            MapKind::Cluster | MapKind::LegacyLeader => {
                let mut own = map.pointers.iter().filter(|pointer| pointer.target.job() == Some(&self.job));
                self.pointer = own.find_map(|pointer| pointer.path.clone());
            }
        }
    }

    /// What is wrong, in one clause.
    pub fn message(&self) -> String {
        let LostJob { job, missing, pointer, config_map, .. } = self;
        let file = missing.as_ref().or(pointer.as_ref()).map_or("a file", String::as_str);
        secrets::hide_in_addresses(&format!(
            "job {job} cannot be recovered: configmap/{config_map} points to {file}, which is not there"
        ))
    }

    /// What mends it, and what is lost by that; the JobManager runs in this container of such a pod, in a namespace that
    /// may be another one.
    pub fn remedy(&self, pods_namespace: &str, pod: &PodSpec, container: &str) -> String {
        let LostJob { job, namespace, cluster_id, .. } = self;
        let file = self.pointer.as_ref().or(self.missing.as_ref()).map_or("", String::as_str);
        let (first, probe) = match storage::behind(pod, container, file) {
            Storage::PodLocal => ("no volume that outlives a pod is mounted there".to_owned(), ""),
            Storage::Uri(_) => ("put the file back, if there is a copy of it".to_owned(), " --probe"),
            storage @ (Storage::Claim { .. } | Storage::HostPath { .. }) => {
                (format!("is {storage} what the cluster had before? If not, put that back"), " --probe")
            }
            Storage::None | Storage::Unknown => {
                ("put back the storage that the cluster had before, if it is still there".to_owned(), " --probe")
            }
        };
        // What stops the JobManagers has to see them.
        let place = if pods_namespace == namespace { format!("-n {namespace}") } else { "-A".to_owned() };
        // Without its graph a job is not recovered, whatever checkpoint is still there.
        let checkpoint = if self.checkpoint.is_some() && !probe.is_empty() { " --include-recoverable" } else { "" };
        let from = self.checkpoint.map_or_else(String::new, |number| {
            format!(
                ", from checkpoint {number} if its files are still in execution.checkpointing.dir (flink run -s PATH)"
            )
        });
        format!(
            "{first}; to give up this job and no other: kubectl flink clean-ha {cluster_id} {place} \
             --job {job}{probe}{checkpoint}; it then has to be submitted again{from}"
        )
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::super::pointer::tests::handle;
    use super::*;

    const JOB: &str = "7601318e4ccd7281759507f40830fea9";

    /// Of a real log what matters, with the ConfigMap where it is given.
    fn log(file: &str, config_map: Option<&str>) -> String {
        let named = config_map.map_or_else(String::new, |map| {
            format!("12:24:31,914 INFO  o.a.f.r.jobmanager.DefaultJobGraphStore [] - Retrieved job ids [{JOB}] from KubernetesStateHandleStore{{configMapName='{map}'}}\n")
        });
        format!(
            "{named}12:24:31,930 ERROR o.a.f.r.entrypoint.ClusterEntrypoint [] - Fatal error occurred in the cluster entrypoint.\n\
             java.util.concurrent.CompletionException: org.apache.flink.util.FlinkRuntimeException: Could not recover job with job id {JOB}.\n\
             Caused by: org.apache.flink.util.FlinkException: Could not retrieve submitted JobGraph from state handle under jobGraph-{JOB}.\n\
             Caused by: java.io.FileNotFoundException: {file}\n"
        )
    }

    fn read(name: &str, data: &Value) -> HaMap {
        HaMap::read(&serde_json::from_value(json!({"metadata": {"name": name}, "data": data})).unwrap()).unwrap()
    }

    fn pod(volume: Option<Value>) -> PodSpec {
        let mut spec = json!({"containers": [{"name": "jobmanager"}]});
        if let Some(mut volume) = volume {
            volume["name"] = json!("ha");
            spec["volumes"] = json!([volume]);
            spec["containers"][0]["volumeMounts"] = json!([{"name": "ha", "mountPath": "/flink"}]);
        }
        serde_json::from_value(spec).unwrap()
    }

    const GONE: &str = "/flink/ha/default/submittedJobGraph76 (No such file or directory)";

    #[test]
    fn which_config_map() {
        let of = |map: Option<&str>, id| LostJob::of_log(&log(GONE, map), "n", id).map(|lost| lost.message());
        let points = |map: &str| {
            let file = "/flink/ha/default/submittedJobGraph76";
            Some(format!("job {JOB} cannot be recovered: configmap/{map} points to {file}, which is not there"))
        };
        assert_eq!(of(Some("a-cluster-config-map"), Some("b")), points("a-cluster-config-map"));
        assert_eq!(of(Some("a-dispatcher-leader"), None), points("a-dispatcher-leader"));
        assert_eq!(of(Some(&job_config_map("a", JOB)), None), points("a-cluster-config-map"));
        assert_eq!(of(None, Some("b")), points("b-cluster-config-map"));
        assert_eq!(of(None, None), None);
        assert_eq!(LostJob::of_log(&log("/x (Permission denied)", None), "n", Some("a")), None);
        assert_eq!(LostJob::of_log("all is well", "n", Some("a")), None);
    }

    #[test]
    fn the_command_and_what_is_lost() {
        let lost = LostJob::of_log(&log(GONE, None), "n", Some("a")).unwrap();
        let local = lost.remedy("n", &pod(None), "jobmanager");
        let expected = format!(
            "no volume that outlives a pod is mounted there; to give up this job and no other: \
             kubectl flink clean-ha a -n n --job {JOB}; it then has to be submitted again"
        );
        assert_eq!(local, expected);
        assert_eq!(lost.remedy("n", &pod(Some(json!({"emptyDir": {}}))), "jobmanager"), expected);
        let claim = lost.remedy("n", &pod(Some(json!({"persistentVolumeClaim": {"claimName": "c"}}))), "jobmanager");
        assert!(claim.starts_with("is claim c what the cluster had before?"), "{claim}");
        assert!(claim.contains(&format!("clean-ha a -n n --job {JOB} --probe;")), "{claim}");
        assert!(lost.remedy("pods", &pod(None), "jobmanager").contains(&format!("clean-ha a -A --job {JOB};")));
        assert!(lost.remedy("n", &pod(None), "other").contains(" --probe;"));
    }

    #[test]
    fn what_config_maps_add() {
        let mut lost =
            LostJob::of_log(&log("/flink/ha/submittedJobGraph76 (No such file or directory)", None), "n", Some("a"))
                .unwrap();
        let (namespace, names) = lost.config_maps();
        assert_eq!((namespace, names[1].as_str()), ("n", job_config_map("a", JOB).as_str()));
        // Without its scheme this path looks like one of the pod.
        lost.learn(&read(
            &names[0],
            &json!({ format!("jobGraph-{JOB}"): handle("hdfs://h/flink/ha/submittedJobGraph76") }),
        ));
        lost.learn(&read(
            &names[1],
            &json!({ "checkpointID-0000000000000000003": handle("hdfs://h/x"), "counter": "4" }),
        ));
        let remedy = lost.remedy("n", &pod(None), "jobmanager");
        assert!(remedy.starts_with("put the file back"), "{remedy}");
        assert!(
            remedy.contains(" --probe --include-recoverable;") && remedy.contains("from checkpoint 3 if"),
            "{remedy}"
        );
    }
}
