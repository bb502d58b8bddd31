//! Every pool on every workload: `cargo bench -p lockgrain-benches`. Times are a task's.

use std::time::Duration;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use lockgrain_benches::{Peer, Workload, all};

fn measure(c: &mut Criterion, workers: usize, peers: &[Box<dyn Peer>], workloads: &[Workload]) {
    for &workload in workloads {
        let mut group = c.benchmark_group(format!("{}/{workers} workers", workload.name()));
        group.sample_size(10).warm_up_time(Duration::from_millis(200)).measurement_time(Duration::from_secs(2));
        group.throughput(Throughput::Elements(workload.tasks()));
        for peer in peers {
            group.bench_function(BenchmarkId::from_parameter(peer.name()), |b| {
                b.iter_custom(|times| (0..times).map(|_| peer.run(workload)).sum());
            });
        }
    }
}

fn peers(c: &mut Criterion) {
    measure(c, 2, &all(2), &Workload::ALL);
    for workers in [16, 64] {
        measure(c, workers, &all(workers), &[Workload::Spawn, Workload::FanOut]);
    }
}

criterion_group!(benches, peers);
criterion_main!(benches);
