import pytest
import torch.distributed as dist
from mmengine.config import Config

from dropblock_mm.runs import cpu_ranks
from dropblock_mm.runs.cpu_ranks import join_ranks

GLOO = dict(dist_cfg=dict(backend='gloo'))
VARIABLES = ('RANK', 'WORLD_SIZE', 'MASTER_ADDR', 'MASTER_PORT', 'SLURM_NNODES')


@pytest.fixture
def environment(monkeypatch):
    """No variable of a launcher; what is set is undone."""
    for name in (*VARIABLES, 'SLURM_PROCID', 'SLURM_NTASKS'):
        monkeypatch.setenv(name, 'undone after the test')
        monkeypatch.delenv(name)
    return monkeypatch


@pytest.fixture
def joined(environment):
    """What torch was asked for; nothing is connected."""
    calls = []

    def init(backend, **settings):
        names = [name for name in VARIABLES if name in cpu_ranks.os.environ]
        calls.append((backend, {n: cpu_ranks.os.environ[n] for n in names}, settings))

    environment.setattr(dist, 'init_process_group', init)
    return calls


@pytest.mark.parametrize('env_cfg', [None, dict(), dict(dist_cfg=dict(backend='nccl'))])
def test_without_a_gpu_gloo_has_to_be_asked_for(env_cfg):
    cfg = Config(dict(launcher='pytorch', env_cfg=env_cfg))
    with pytest.raises(ValueError, match=r"backend='nccl' needs GPUs.*backend=gloo"):
        join_ranks(cfg)


@pytest.mark.parametrize(
    ('part', 'key'),
    [
        (
            dict(model=dict(neck=dict(norm_cfg=dict(type='SyncBN')))),
            'model.neck.norm_cfg',
        ),
        (dict(model=[dict(type='MMSyncBN')]), "model.0.type='MMSyncBN'"),
        (dict(sync_bn='torch'), "sync_bn='torch'"),
    ],
)
def test_synchronized_norms_need_gpus(part, key):
    cfg = Config(dict(launcher='pytorch', env_cfg=GLOO, **part))
    with pytest.raises(ValueError, match=f'{key}.*on GPUs only'):
        join_ranks(cfg)


def test_torchrun(joined, environment):
    environment.setenv('RANK', '1')
    environment.setenv('WORLD_SIZE', '2')
    environment.setenv('MASTER_ADDR', 'first')
    environment.setenv('MASTER_PORT', '1234')
    env_cfg = dict(dist_cfg=dict(backend='gloo', timeout=90))
    cfg = Config(dict(launcher='pytorch', env_cfg=env_cfg, find_unused_parameters=True))
    join_ranks(cfg)
    ((backend, variables, settings),) = joined
    assert backend == 'gloo'
    assert variables['MASTER_ADDR'] == 'first'
    assert settings['timeout'].total_seconds() == 90
    assert cfg.model_wrapper_cfg == dict(
        type='MMDistributedDataParallel',
        device_ids=None,
        broadcast_buffers=False,
        find_unused_parameters=True,
    )


def test_slurm(joined, environment):
    environment.setenv('SLURM_PROCID', '3')
    environment.setenv('SLURM_NTASKS', '4')
    join_ranks(Config(dict(launcher='slurm', env_cfg=GLOO)))
    assert joined[0][1] == dict(
        RANK='3', WORLD_SIZE='4', MASTER_ADDR='127.0.0.1', MASTER_PORT='29500'
    )
    environment.delenv('MASTER_ADDR')
    environment.setenv('SLURM_NNODES', '2')
    with pytest.raises(ValueError, match=r'SLURM_NNODES=2 .*MASTER_ADDR is not'):
        join_ranks(Config(dict(launcher='slurm', env_cfg=GLOO)))


@pytest.mark.parametrize(
    ('launcher', 'variable'), [('pytorch', 'RANK'), ('slurm', 'SLURM_PROCID')]
)
def test_the_tool_was_not_started_by_its_launcher(environment, launcher, variable):
    cfg = Config(dict(launcher=launcher, env_cfg=GLOO))
    with pytest.raises(
        ValueError, match=f'--launcher {launcher} expects.* {variable},'
    ):
        join_ranks(cfg)


def test_a_wrapper_of_ones_own_is_kept(joined, environment):
    environment.setenv('RANK', '0')
    environment.setenv('WORLD_SIZE', '1')
    own = dict(type='MMDistributedDataParallel', static_graph=True)
    cfg = Config(dict(launcher='pytorch', env_cfg=GLOO, model_wrapper_cfg=own))
    join_ranks(cfg)
    assert cfg.model_wrapper_cfg == dict(device_ids=None, **own)


def test_jobs_on_one_machine_get_ports_of_their_own(environment):
    ports = set()
    for job, step in ((7, 0), (7, 1), (8, 0)):
        environment.delenv('MASTER_PORT', raising=False)
        environment.setenv('SLURM_JOB_ID', str(job))
        environment.setenv('SLURM_STEP_ID', str(step))
        cpu_ranks.choose_port_of_job()
        ports.add(int(cpu_ranks.os.environ['MASTER_PORT']))
    assert len(ports) == 3
    assert all(1024 < port < 32768 for port in ports)
    environment.setenv('MASTER_PORT', '29501')
    cpu_ranks.choose_port_of_job()
    assert cpu_ranks.os.environ['MASTER_PORT'] == '29501', 'what was set stays'
