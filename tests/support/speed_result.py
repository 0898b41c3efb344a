"""A result of `make bench` with round figures."""

from typing import Any


def times(us: float) -> dict[str, float]:
    return {"p10": us, "p50": us * 1.1, "p75": us * 1.2}


def ratio(value: float, spread: float = 0.01) -> dict[str, float]:
    return {"value": value, "spread": spread}


def network(neurons: int = 64) -> dict[str, Any]:
    return {
        "neurons": neurons,
        "active_inputs": 500.0,
        "weight_bytes": 2560 * neurons,
        "read_gb_per_s": 50.0,
        "floor_us": 1.28,
        "decide_us": times(20),
        "presentation_us": times(10),
        "weights_us": times(4),
        "learn_us": times(300),
        "decide_to_floor": ratio(15.6),
        "weights_to_floor": ratio(1.4),
        "learn_to_decide": ratio(15.0),
        "decisions_per_s": 50_000.0,
        "learnt_per_s": 3_333.0,
    }


def result() -> dict[str, Any]:
    ratios = {"rate_code_and_decide_to_encoder": 0.04, "frame_to_encoder": 1.2}
    stages = ("encoder_invoke", "preprocess", "encode", "rate_code", "decide", "frame", "learn")
    peers = {"CoLaNET": (20, 300), "streaming LDA, numpy": (6, 1500), "nearest class mean, numpy": (5, 12)}
    jobs = {
        f"{name}: {job}": us for name, both in peers.items() for job, us in zip(("decide", "learn"), both, strict=True)
    }
    jobs["streaming LDA, numpy: weights for the next decision"] = 50_000
    curve = [{"decide_us": 10.0 * x, "learn_us": 100.0 * x, "floor_us": 1.0 * x} for x in (1, 2)]
    state = {"x": [1, 2], "bytes": [1000, 2000], "bytes_each": 1000.0}
    return {
        "device": {
            **{f"{stage}_ms": {"p50": 0.5, "p95": 0.6} for stage in stages},
            "ratios": ratios,
            "ratio_spreads": dict.fromkeys(ratios, 0.02),
            "sustained": {"live_to_bare": 0.97, "spread": 0.01},
            "frame_allocation": {"kept": 10.0, "peak": 20_000.0},
            "startup_s": 0.8,
            "rss_mb": 215.0,
            "classes": 64,
            "threads": 1,
            "machine": {"cpu": "A processor", "cores": 2, "runtime": "runtime 1", "system": "Linux 6 x86_64"},
        },
        "bandwidth": [{"bytes": 1 << power, "gb_per_s": 50.0} for power in (14, 20, 26)],
        "classifier": {
            **{f"{classes} classes": network(classes) for classes in (10, 64, 200, 1000)},
            **{f"{classes} classes, K = 7, E = 15": network(105 * classes) for classes in (10, 64)},
            "KNP's: 10 classes, K = 20": network(200),
        },
        "replay": {"examples": 5000, "classes": 64, "seconds": 2.0},
        "peers": {
            "classes": 64,
            "us": {name: times(us) for name, us in jobs.items()},
            "to_colanet": {name: ratio(us / 20) for name, us in jobs.items() if not name.startswith("CoLaNET")},
            "akida": {"us": {"decide": 50.0, "learn": 150.0}, "version": "2", "neurons": 512},
            "tflite-runtime": None,
        },
        "curves": {
            name: [{name: x, **point} for x, point in enumerate(curve, 1)]
            for name in ("classes", "microcolumns", "members", "inputs", "active_inputs")
        },
        "state_sizes": dict.fromkeys(("classes", "microcolumns_of_10_classes", "members_of_10_classes_K_7"), state),
        "process": {"help_s": 0.1, "many_classes_startup_s": 1.0, "many_classes_rss_mb": 300.0, "cold_compile_s": 30.0},
        "idle": {"cpu_share": 0.03},
        "live_memory": {"rss_mb": 240.0},
    }
