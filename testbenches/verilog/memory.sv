// One AXI port of the bench's memory: reads and writes with fixed latency, with seeded gaps when `stalling`, or behind an
// HBM2 pseudo channel when `hbm2`. The law is docs/engine.md sections 3, 6, 7 and 9; it is written here independently of
// the simulator.
module bench_memory #(
    parameter int DATA_BITS = 128,
    parameter int PORT = 0,
    parameter int PORTS = 1,
    parameter int DEPTH = 256,
    parameter int READ_LATENCY = 32,
    parameter int WRITE_LATENCY = 8,
    parameter int STALL_RATE = 48,
    // Addresses of the side memory have this number above their lower bits.
    parameter int REGION_BITS = 36,
    parameter int SIDE_REGION = 64,
    parameter int HBM2_BITS = 32
) (
    input  logic                   clk,
    input  logic                   rst_n,
    input  logic [31:0]            cycle,
    input  logic                   stalling,
    input  logic                   hbm2,
    // Numbers of the HBM2 channel, 32 bits each, in the order `configure` reads them.
    input  logic [HBM2_BITS-1:0]   hbm2_law,
    input  logic [31:0]            seed,
    // Beats of this port, counted from the reset on, that answer with an error; all ones for none.
    input  logic [31:0]            fault_beat,
    input  logic [63:0]            araddr,
    input  logic [7:0]             arlen,
    input  logic                   arvalid,
    output logic                   arready,
    output logic [DATA_BITS-1:0]   rdata,
    output logic [1:0]             rresp,
    output logic                   rlast,
    output logic                   rvalid,
    input  logic                   rready,
    input  logic [63:0]            awaddr,
    input  logic                   awvalid,
    output logic                   awready,
    input  logic [DATA_BITS-1:0]   wdata,
    input  logic [DATA_BITS/8-1:0] wstrb,
    input  logic                   wvalid,
    output logic                   wready,
    output logic [1:0]             bresp,
    output logic                   bvalid,
    input  logic                   bready
);
    import "DPI-C" function int bench_read(input longint unsigned address, input int bytes, output bit [511:0] data);
    import "DPI-C" function int bench_write(input longint unsigned address, input int bytes, input bit [511:0] data,
                                            input longint unsigned strobes);

    localparam int BYTES = DATA_BITS / 8;
    // The side port, behind the stream ports, has a channel with closed pages.
    localparam bit IS_SIDE = PORT == PORTS;
    function automatic logic gap(input int channel, input logic [31:0] when_cycle);
        logic [31:0] x;
        x = (when_cycle * 32'h9E3779B1) ^ ((seed + 32'(PORT * 8 + channel)) * 32'h85EBCA77);
        x = x ^ (x >> 15);
        x = x * 32'h2C1B3C6D;
        x = x ^ (x >> 12);
        x = x * 32'h297A2D39;
        x = x ^ (x >> 15);
        return stalling && ({24'b0, x[7:0]} < STALL_RATE);
    endfunction

    assign arready = !gap(0, cycle);
    assign awready = !gap(2, cycle);
    assign wready  = !gap(3, cycle);

    bench_hbm2::Channel channel = new;
    function automatic longint law(input int index);
        return {32'b0, hbm2_law[32*index +: 32]};
    endfunction
    task automatic configure();
        channel.cycles = law(0);
        channel.clocks = law(1);
        channel.atom_bits = int'(law(2));
        channel.row_bits = int'(law(3));
        channel.bank_bits = int'(law(4));
        channel.group_bits = int'(law(5));
        channel.request = law(6);
        channel.reply = law(7);
        channel.t_rcd = law(8);
        channel.t_rp = law(9);
        channel.t_ras = law(10);
        channel.t_rrd_s = law(11);
        channel.t_rrd_l = law(12);
        channel.t_faw = law(13);
        channel.t_rtp = law(14);
        channel.t_wr = law(15);
        channel.t_ccd_s = law(16);
        channel.t_ccd_l = law(17);
        channel.t_cl = law(18);
        channel.t_cwl = law(19);
        channel.t_wtr = law(20);
        channel.t_turn = law(21);
        channel.t_refi = law(22);
        channel.t_rfc = law(23);
    endtask

    // Accepted bursts, oldest first; under `hbm2` a burst is cut where a page ends.
    logic [63:0] burst_address[DEPTH];
    logic [31:0] burst_cycle[DEPTH];
    logic [7:0]  burst_length[DEPTH];
    logic        burst_is_last[DEPTH];
    longint      burst_clock[DEPTH];  // of the end of the first atom's transfer, reply included
    int unsigned burst_head, burst_tail;
    logic [7:0]  beat;
    logic [31:0] beats_answered;

    // Accepted write responses to come, by the cycle they may be given from.
    logic [31:0] response_cycle[DEPTH];
    longint      response_clock[DEPTH];
    logic        response_error[DEPTH];
    int unsigned response_head, response_tail;
    logic        have_address, have_data;
    logic [63:0] write_address;
    logic [DATA_BITS-1:0] write_data;
    logic [BYTES-1:0] write_strobes;

    // Cuts an accepted burst into accesses of one page each.
    task automatic accept_hbm2(inout int unsigned tail);
        longint at = araddr, ends = araddr + (64'(arlen) + 1) * BYTES, page = 64'd2 << channel.row_bits, next;
        int     atoms;
        while (at < ends) begin
            next = IS_SIDE ? ends : (at / page + 1) * page;
            if (next > ends) next = ends;
            burst_address[tail % DEPTH] = at;
            burst_length[tail % DEPTH] = 8'((next - at) / BYTES - 1);
            burst_is_last[tail % DEPTH] = next == ends;
            if (IS_SIDE) begin
                atoms = int'((next - at + (64'd1 << channel.atom_bits) - 1) >> channel.atom_bits);
                burst_clock[tail % DEPTH] = channel.access(channel.seen(64'(cycle)), atoms, 0, 0, at);
            end else begin
                atoms = int'(((next - 1) >> channel.atom_bits) - (at >> channel.atom_bits)) + 1;
                burst_clock[tail % DEPTH] = channel.read(channel.seen(64'(cycle)), at, atoms);
            end
            burst_clock[tail % DEPTH] += channel.t_cl + channel.reply;
            tail = tail + 1;
            at = next;
        end
    endtask

    // Whether a beat of the oldest access may be on the R channel in the next cycle.
    function automatic logic has_come(input int unsigned head, input logic [7:0] number);
        longint at = burst_address[head % DEPTH], ending = at + (64'(number) + 1) * BYTES - 1, atoms;
        if (!hbm2) return cycle + 1 >= burst_cycle[head % DEPTH];
        // Accesses of the side port count as if they started with an atom.
        if (IS_SIDE) atoms = ((ending - at) >> channel.atom_bits) + 1;
        else atoms = (ending >> channel.atom_bits) - (at >> channel.atom_bits) + 1;
        return channel.reached(burst_clock[head % DEPTH] + atoms * channel.t_ccd_s, 64'(cycle) + 1);
    endfunction

    function automatic logic is_answered(input int unsigned head);
        if (!hbm2) return cycle + 1 >= response_cycle[head % DEPTH];
        return channel.reached(response_clock[head % DEPTH], 64'(cycle) + 1);
    endfunction

    bit [511:0] word;
    always_ff @(posedge clk) begin
        if (!rst_n) begin
            burst_head <= 0;
            burst_tail <= 0;
            beat <= 0;
            rvalid <= 0;
            beats_answered <= 0;
            response_head <= 0;
            response_tail <= 0;
            bvalid <= 0;
            have_address <= 0;
            have_data <= 0;
        end else begin : run
            automatic int unsigned head = burst_head;
            automatic int unsigned tail = burst_tail;
            automatic int unsigned responses = response_tail;
            automatic logic [7:0] now_beat = beat;
            automatic logic [63:0] address;
            automatic logic got_address = have_address;
            automatic logic got_data = have_data;
            if (hbm2 && cycle == 0) begin
                configure();
                channel.reset(PORT, PORTS, {32'b0, seed});
            end
            if (arvalid && arready && hbm2) accept_hbm2(tail);
            else if (arvalid && arready) begin
                burst_address[tail % DEPTH] = araddr;
                burst_length[tail % DEPTH] = arlen;
                burst_cycle[tail % DEPTH] = cycle + READ_LATENCY;
                burst_is_last[tail % DEPTH] = 1;
                tail = tail + 1;
            end
            // What is on the R channel in the next cycle.
            if (!(rvalid && !rready)) begin
                if (head != tail && has_come(head, now_beat) && !gap(1, cycle + 1)) begin
                    address = burst_address[head % DEPTH] + 64'(now_beat) * BYTES;
                    rresp <= (bench_read(address, BYTES, word) != 0 || beats_answered == fault_beat) ? 2'b11 : 2'b00;
                    rdata <= word[DATA_BITS-1:0];
                    rlast <= now_beat == burst_length[head % DEPTH] && burst_is_last[head % DEPTH];
                    rvalid <= 1;
                    beats_answered <= beats_answered + 1;
                    if (now_beat == burst_length[head % DEPTH]) begin
                        head = head + 1;
                        now_beat = 0;
                    end else now_beat = now_beat + 1;
                end else rvalid <= 0;
            end
            burst_head <= head;
            burst_tail <= tail;
            beat <= now_beat;

            if (awvalid && awready) begin
                write_address = awaddr;
                got_address = 1;
            end
            if (wvalid && wready) begin
                write_data = wdata;
                write_strobes = wstrb;
                got_data = 1;
            end
            if (got_address && got_data) begin
                response_error[responses % DEPTH] = bench_write(write_address, BYTES, 512'(write_data), 64'(write_strobes)) != 0;
                response_cycle[responses % DEPTH] = cycle + WRITE_LATENCY;
                if (hbm2) response_clock[responses % DEPTH] = channel.access(
                    channel.seen(64'(cycle)), 1, 1, write_address >> REGION_BITS == 64'(SIDE_REGION), write_address)
                    + channel.t_cwl + channel.t_ccd_s + channel.reply;
                responses = responses + 1;
                got_address = 0;
                got_data = 0;
            end
            have_address <= got_address;
            have_data <= got_data;
            response_tail <= responses;
            if (!(bvalid && !bready)) begin
                if (response_head != responses && is_answered(response_head) && !gap(4, cycle + 1)) begin
                    bvalid <= 1;
                    bresp <= response_error[response_head % DEPTH] ? 2'b11 : 2'b00;
                    response_head <= response_head + 1;
                end else bvalid <= 0;
            end
        end
    end
endmodule
