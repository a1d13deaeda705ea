# join the node's network namespace, and without root the user namespace that owns it
nsenter --user=$NODE_USER --net=$NODE_NET
# make the other namespaces: cgroup, IPC, host name, mounts, processes
unshare --cgroup --ipc --uts --mount --propagation private --pid --fork
# work below /run/lab/containers/web/upper, following no links
cd /run/lab/containers/web/upper
# make the folder /proc
mkdir -m 755 /run/lab/containers/web/upper/proc
# make the folder /sys
mkdir -m 755 /run/lab/containers/web/upper/sys
# make the folder /dev
mkdir -m 755 /run/lab/containers/web/upper/dev
# make the folder /etc, with the mode of /home/me/root,fs/etc
mkdir -m 755 /run/lab/containers/web/upper/etc
# make the folder /srv, with the mode of /home/me/root,fs/srv
mkdir -m 755 /run/lab/containers/web/upper/srv
# make the folder /srv/a b, with the mode of /home/me/root,fs/srv/a b
mkdir -m 755 '/run/lab/containers/web/upper/srv/a b'
# write /etc/hosts, 14 bytes
printf %s '10.0.0.10	web
' > /run/lab/containers/web/upper/etc/hosts
# write /etc/hostname, 4 bytes
printf %s 'web
' > /run/lab/containers/web/upper/etc/hostname
# write /etc/resolv.conf, 0 bytes
printf %s '' > /run/lab/containers/web/upper/etc/resolv.conf
# write /srv/a b/index.html, 8 bytes
printf %s 'it'\''s me
' > '/run/lab/containers/web/upper/srv/a b/index.html'
# mount overlay on /run/lab/containers/web/root
mount -t overlay -o 'nodev,lowerdir=/home/me/root\,fs,upperdir=/run/lab/containers/web/upper,workdir=/run/lab/containers/web/work,userxattr' overlay /run/lab/containers/web/root
# work below /run/lab/containers/web/root, following no links
cd /run/lab/containers/web/root
# mount proc on /proc
mount -t proc -o nosuid,nodev,noexec proc /run/lab/containers/web/root/proc
# mount sysfs on /sys
mount -t sysfs -o ro,nosuid,nodev,noexec sysfs /run/lab/containers/web/root/sys
# mount cgroup2 on /sys/fs/cgroup
mount -t cgroup2 -o ro,nosuid,nodev,noexec cgroup2 /run/lab/containers/web/root/sys/fs/cgroup || true
# hide /proc/acpi
mount --bind /dev/null /run/lab/containers/web/root/proc/acpi # or an empty read-only tmpfs
# hide /proc/asound
mount --bind /dev/null /run/lab/containers/web/root/proc/asound # or an empty read-only tmpfs
# hide /proc/interrupts
mount --bind /dev/null /run/lab/containers/web/root/proc/interrupts # or an empty read-only tmpfs
# hide /proc/kcore
mount --bind /dev/null /run/lab/containers/web/root/proc/kcore # or an empty read-only tmpfs
# hide /proc/keys
mount --bind /dev/null /run/lab/containers/web/root/proc/keys # or an empty read-only tmpfs
# hide /proc/latency_stats
mount --bind /dev/null /run/lab/containers/web/root/proc/latency_stats # or an empty read-only tmpfs
# hide /proc/sched_debug
mount --bind /dev/null /run/lab/containers/web/root/proc/sched_debug # or an empty read-only tmpfs
# hide /proc/scsi
mount --bind /dev/null /run/lab/containers/web/root/proc/scsi # or an empty read-only tmpfs
# hide /proc/timer_list
mount --bind /dev/null /run/lab/containers/web/root/proc/timer_list # or an empty read-only tmpfs
# hide /proc/timer_stats
mount --bind /dev/null /run/lab/containers/web/root/proc/timer_stats # or an empty read-only tmpfs
# hide /sys/devices/virtual/powercap
mount --bind /dev/null /run/lab/containers/web/root/sys/devices/virtual/powercap # or an empty read-only tmpfs
# hide /sys/firmware
mount --bind /dev/null /run/lab/containers/web/root/sys/firmware # or an empty read-only tmpfs
# make /proc/bus read-only
mount --rbind /run/lab/containers/web/root/proc/bus /run/lab/containers/web/root/proc/bus && mount -o remount,bind,ro /run/lab/containers/web/root/proc/bus
# make /proc/fs read-only
mount --rbind /run/lab/containers/web/root/proc/fs /run/lab/containers/web/root/proc/fs && mount -o remount,bind,ro /run/lab/containers/web/root/proc/fs
# make /proc/irq read-only
mount --rbind /run/lab/containers/web/root/proc/irq /run/lab/containers/web/root/proc/irq && mount -o remount,bind,ro /run/lab/containers/web/root/proc/irq
# make /proc/sys read-only
mount --rbind /run/lab/containers/web/root/proc/sys /run/lab/containers/web/root/proc/sys && mount -o remount,bind,ro /run/lab/containers/web/root/proc/sys
# make /proc/sysrq-trigger read-only
mount --rbind /run/lab/containers/web/root/proc/sysrq-trigger /run/lab/containers/web/root/proc/sysrq-trigger && mount -o remount,bind,ro /run/lab/containers/web/root/proc/sysrq-trigger
# mount tmpfs on /dev
mount -t tmpfs -o nosuid,strictatime,mode=755,size=64m tmpfs /run/lab/containers/web/root/dev
# show the machine's /dev/null, once it is seen to be that device
touch /run/lab/containers/web/root/dev/null && mount --bind /dev/null /run/lab/containers/web/root/dev/null
# show the machine's /dev/zero, once it is seen to be that device
touch /run/lab/containers/web/root/dev/zero && mount --bind /dev/zero /run/lab/containers/web/root/dev/zero
# show the machine's /dev/full, once it is seen to be that device
touch /run/lab/containers/web/root/dev/full && mount --bind /dev/full /run/lab/containers/web/root/dev/full
# show the machine's /dev/random, once it is seen to be that device
touch /run/lab/containers/web/root/dev/random && mount --bind /dev/random /run/lab/containers/web/root/dev/random
# show the machine's /dev/urandom, once it is seen to be that device
touch /run/lab/containers/web/root/dev/urandom && mount --bind /dev/urandom /run/lab/containers/web/root/dev/urandom
# show the machine's /dev/tty, once it is seen to be that device
touch /run/lab/containers/web/root/dev/tty && mount --bind /dev/tty /run/lab/containers/web/root/dev/tty
# link /dev/ptmx
ln -s pts/ptmx /run/lab/containers/web/root/dev/ptmx
# link /dev/fd
ln -s /proc/self/fd /run/lab/containers/web/root/dev/fd
# link /dev/stdin
ln -s /proc/self/fd/0 /run/lab/containers/web/root/dev/stdin
# link /dev/stdout
ln -s /proc/self/fd/1 /run/lab/containers/web/root/dev/stdout
# link /dev/stderr
ln -s /proc/self/fd/2 /run/lab/containers/web/root/dev/stderr
# make the folder /dev/pts
mkdir -m 755 /run/lab/containers/web/root/dev/pts
# make the folder /dev/shm
mkdir -m 755 /run/lab/containers/web/root/dev/shm
# make the folder /dev/mqueue
mkdir -m 755 /run/lab/containers/web/root/dev/mqueue
# mount devpts on /dev/pts
mount -t devpts -o nosuid,noexec,newinstance,ptmxmode=0666,mode=0620 devpts /run/lab/containers/web/root/dev/pts
# mount tmpfs on /dev/shm
mount -t tmpfs -o nosuid,nodev,noexec,mode=1777,size=64m tmpfs /run/lab/containers/web/root/dev/shm
# mount mqueue on /dev/mqueue
mount -t mqueue -o nosuid,nodev,noexec mqueue /run/lab/containers/web/root/dev/mqueue || true
# the host name is web
hostname web
# the base becomes the root, and the machine's tree is let go
cd /run/lab/containers/web/root && pivot_root . . && umount -l . && cd /
# a keyring of its own
keyctl new_session
# start the command; what stays is PID 1, which keeps the right to signal and nothing else
:
# no core files
ulimit -c 0
# keep 3 capabilities, none to inherit
setpriv --bounding-set -all,+chown,+net_bind_service,+net_raw --inh-caps=-all --ambient-caps=-all
# become user 0, group 0
setpriv --reuid 0 --regid 0 --clear-groups
# enter the working directory, which must lie inside and not in /proc
cd /srv
# close every file but 0, 1 and 2
exec 3>&- 4>&- # and so on
# no new privileges, not by setuid and not by file capabilities
setpriv --no-new-privs
# filter system calls: 192 instructions of BPF
:
# run the command
exec env -i PATH=/bin busybox httpd -f -h '/srv/a b'
# 4255 bytes, sha256 5f2506886f475419cb296fdf1b40d64e6cdb8e5e30825df6024237c55bd6ff57
